"""What must hold of the rows at every instant, whoever wrote them (CM-13).

Each invariant is a function of a `scope.Scope` that yields what breaks it; `check.INVARIANTS` lists
them with the rule ids that people see. All of it reads plain rows and signed texts: no key of any
vault is needed, and nothing of a person's data is in what it says.
"""
