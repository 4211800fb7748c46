"""Pure figures: one file a view."""
