"""The pages inside a CRM's frame."""
