"""Recipes that derive structures from others: targets with margins, planning risk volumes, crops."""

from contouring.recipes.apply import Derived, RecipeResult, apply_recipe
from contouring.recipes.load import Recipe, Step, load_recipe, shipped_recipes

__all__ = ["Derived", "Recipe", "RecipeResult", "Step", "apply_recipe", "load_recipe", "shipped_recipes"]
