"""What is inside a wheel, as a CycloneDX document: the same text for the same parts.

The components are the files that recipes name, with their hashes, and within each those
parts that the wheel has of it."""

import datetime
import uuid

import parts
from cyclonedx.model import HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

# Where a recipe's file comes from, in the words of package URLs.
KINDS = {"index": ("pypi", None), "crate": ("cargo", None),
         "debian": ("deb", "debian")}


def package_url(recipe, subpath=None):
    kind, namespace = KINDS[recipe["FROM"]]
    version = recipe["VERSION"]
    if kind == "cargo":
        version = recipe["FILE"][len(recipe["PROJECT"] + "-"):-len(".crate")]
    return PackageURL(kind, namespace, recipe["PROJECT"], version, subpath=subpath)


def component_of_file(recipe):
    url = package_url(recipe)
    return Component(
        type=ComponentType.FILE, name=recipe["FILE"], version=url.version, purl=url,
        bom_ref=recipe["FILE"],
        hashes=[HashType.from_composite_str("sha256:" + recipe["SHA256"])],
        licenses=[LicenseExpression(recipe["LICENCE"])])


def component_of_part(part, version, recipe):
    """What has no version of its own is known by its place in the file."""
    return Component(
        type=ComponentType.LIBRARY, name=part.name, version=version, bom_ref=part.name,
        purl=(PackageURL("generic", None, part.name, version) if version
              else package_url(recipe, part.folder)),
        licenses=[LicenseExpression(part.licence)])


def document(name, version, found, when):
    """The text for release `version` of `name`, made of `found`, triples of a part, its
    version and the recipe it came by, at the time `when`."""
    whole = Component(
        type=ComponentType.LIBRARY, name=name, version=version, bom_ref=name,
        purl=PackageURL("pypi", None, name, version),
        licenses=[LicenseExpression(parts.licence(part for part, _, _ in found))])
    files, libraries = {}, []
    for part, of_part, recipe in found:
        file = files.setdefault(recipe["FILE"], component_of_file(recipe))
        libraries.append(component_of_part(part, of_part, recipe))
        file.components.add(libraries[-1])
    urls = [str(c.purl) for c in [whole, *files.values(), *libraries]]
    bom = Bom(
        components=files.values(),
        metadata=BomMetaData(
            component=whole,
            timestamp=datetime.datetime.fromtimestamp(when, datetime.timezone.utc)),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, " ".join(urls)))
    bom.register_dependency(whole, libraries)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
