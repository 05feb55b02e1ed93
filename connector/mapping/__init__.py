"""From consented records to the fields of a CRM: expressions, transforms, rules and their lint."""
