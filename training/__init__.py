"""Making clips, training and distilling tam_nano, and measuring it; not part of the package."""
