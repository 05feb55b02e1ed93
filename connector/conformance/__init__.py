"""What any CRM adapter must do: a suite to inherit, for adapters of this project and of others."""
