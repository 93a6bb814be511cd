"""What the group is configured to serve: looked up (`configuration`), and judged (`validate`)."""
