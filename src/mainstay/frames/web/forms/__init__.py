"""Forms made from what a kind declares: what they ask, how answers become a document, how a draft's text is kept.

Nothing here knows a request or a database: doors bring the schema, the document and what was submitted.
"""
