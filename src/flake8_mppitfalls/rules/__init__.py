"""The rules: one package for each family, one module for each rule."""
