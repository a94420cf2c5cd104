"""JSON Schemas of the documents, for editors. `make schemas` renews them."""
