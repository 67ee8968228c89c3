"""What is worth telling people, whom, and when: pure rules, no clock and no channel."""
