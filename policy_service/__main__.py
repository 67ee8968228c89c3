"""`python -m policy_service` is the `gatehouse` command."""

from policy_service.cli import main

if __name__ == "__main__":
    main()
