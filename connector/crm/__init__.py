"""CRMs behind one interface; an adapter holds no state and talks to its CRM over HTTP only."""
