"""Whether a run keeps a consumer busy and its records young, with figures that come late."""
