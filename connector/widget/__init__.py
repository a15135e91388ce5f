"""Scripts in a CRM's pages, where our widget runs: what they are answered."""
