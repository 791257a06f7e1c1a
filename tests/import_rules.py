"""The import-linter contract type that keeps the packages apart.

The types that come with import-linter want every module they name to exist and to be listed.
This one goes by names alone, so that a rule may be written before the module it is about, and a
new module of a forbidden package is forbidden from its first day.
"""

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def _within(module: str, packages: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in packages)


def _names(field: Any) -> set[str]:
    """The value of a contract's field, which is None when the option is left out."""
    return set(field or ())


class DirectImports(Contract):
    """No module of `importers` imports a module of `forbidden`, itself and directly.

    `exempt` takes modules out of the importers, `allowed` out of the forbidden ones. Imports
    within one of the importers are always allowed.
    """

    importers = fields.SetField(subfield=fields.StringField())
    exempt = fields.SetField(subfield=fields.StringField(), required=False)
    forbidden = fields.SetField(subfield=fields.StringField())
    allowed = fields.SetField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Collect every forbidden import with its line."""
        importers, forbidden = _names(self.importers), _names(self.forbidden)
        exempt, allowed = _names(self.exempt), _names(self.allowed)
        found: list[str] = []
        for importer in sorted(graph.modules):
            home = {name for name in importers if _within(importer, {name})}
            if not home or _within(importer, exempt):
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                if _within(imported, forbidden) and not _within(imported, allowed | home):
                    found += self._lines(graph, importer, imported)
        return ContractCheck(kept=not found, metadata={"found": found})

    @staticmethod
    def _lines(graph: ImportGraph, importer: str, imported: str) -> list[str]:
        details = graph.get_import_details(importer=importer, imported=imported)
        return [f"{importer}:{item['line_number']} imports {imported}" for item in details]

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that check() found."""
        for line in check.metadata["found"]:
            output.print_error(line)
