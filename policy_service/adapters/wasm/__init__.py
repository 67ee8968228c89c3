"""The embedded engine where the rules were compiled to WebAssembly."""
