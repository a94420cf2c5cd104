"""What Stagewright is measured against: programs of their own, that import nothing of it."""
