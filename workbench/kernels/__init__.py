"""Fast code without policy: arrays and scalars in, arrays out."""
