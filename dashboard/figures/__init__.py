"""From frames to figures. Pure: a function gives a figure and shows nothing."""
