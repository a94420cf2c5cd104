"""One module per thing people do: gather through ports, decide in the core, act through ports."""
