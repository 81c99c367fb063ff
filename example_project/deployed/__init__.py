"""The models that this project deploys: each is trained on first use and then kept in ``.models``."""
