"""How far plans are from what runs then take."""
