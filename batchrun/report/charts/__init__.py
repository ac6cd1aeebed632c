"""Charts as inline SVG, readable without script, in black and white, and by a screen reader."""
