"""Who may do what: users, roles, scopes, tokens and the second factor, around django-allauth."""
