"""People register with one service, another one mails them: state and event in one transaction, each mail once."""
