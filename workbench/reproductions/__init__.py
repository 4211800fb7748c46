"""What this project measures of published systems: a function a system, seconds each."""
