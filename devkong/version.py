"""The Kong that devkong stands in for."""

KONG_VERSION = "3.9.1"
VIA = f"1.1 kong/{KONG_VERSION}"
SERVER = f"kong/{KONG_VERSION}"
