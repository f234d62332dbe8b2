"""What receives events: a Lambda function, a file, a local Python handler. One module each."""
