"""What an analysis found, typed: the result of `analyze_code`."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Lines(BaseModel):
    """Lines by what they hold; a line with code and a comment counts as code."""

    total: int
    code: int
    comment: int
    blank: int


class SyntaxProblem(BaseModel):
    """Where the text stops being its language. Lines and columns count from 1."""

    line: int
    column: int
    end_line: int | None = None
    message: str


class FunctionFound(BaseModel):
    """A function or method; `name` is qualified by its class."""

    name: str
    line: int
    end_line: int
    params: list[str]
    complexity: int = Field(description="Cyclomatic complexity (McCabe): 1 and one more for each decision.")


class NameFound(BaseModel):
    """A class, or an import."""

    name: str
    line: int


class Complexity(BaseModel):
    """Over all functions; 0 when there are none."""

    max: int
    mean: float


class Finding(BaseModel):
    """What a rule found."""

    rule: str
    line: int
    message: str


class SecurityFinding(Finding):
    """What a security rule found."""

    severity: str


class AnalysisResult(BaseModel):
    """What the code holds. It was read, not run."""

    language: str
    size_bytes: int
    lines: Lines
    syntax_errors: list[SyntaxProblem]
    functions: list[FunctionFound]
    classes: list[NameFound]
    imports: list[NameFound]
    complexity: Complexity
    lint: list[Finding]
    security: list[SecurityFinding]
    warnings: list[str] = Field(description="What could not be found out, and why.")
