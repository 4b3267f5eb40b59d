"""Routing: which stacks of a study go to which bundle, and why."""

from dicom_gateway.route.explain import (
    Choice,
    ClauseAnswer,
    Decision,
    RouteExplanation,
    StackExplanation,
    choose,
    explain_stack,
    render_text,
)
from dicom_gateway.route.facts import Facts
from dicom_gateway.route.rules import ActiveTime, Route, check_routes, default_routes, parse_route, parse_routes

__all__ = [
    "ActiveTime",
    "Choice",
    "ClauseAnswer",
    "Decision",
    "Facts",
    "Route",
    "RouteExplanation",
    "StackExplanation",
    "check_routes",
    "choose",
    "default_routes",
    "explain_stack",
    "parse_route",
    "parse_routes",
    "render_text",
]
