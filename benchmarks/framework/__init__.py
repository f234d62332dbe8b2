"""What every scenario is built from: how it is described, run, measured, saved and drawn."""
