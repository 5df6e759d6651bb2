"""Django's database backend of this installation: `base.py`."""
