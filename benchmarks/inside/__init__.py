"""What is measured, each in a process of its own: modules with a `measure` that returns JSON. Started by child.py."""
