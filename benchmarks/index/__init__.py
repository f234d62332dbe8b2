"""What an index costs a run that touches an attribute which the index projects."""
