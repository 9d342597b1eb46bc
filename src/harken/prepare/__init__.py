"""`harken prepare`: downloaded data sets become a checked manifest, a list of rejected records, and a data card."""
