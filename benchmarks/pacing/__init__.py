"""Whether a run spends its whole budget and never more, and whether hot keys hold up the rest."""
