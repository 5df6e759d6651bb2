"""The status as an Atom feed (RFC 4287): an entry an incident. Pure."""

from xml.etree import ElementTree

from apps.sla.status_shapes import PublicIncident, Status

_NAMESPACE = "http://www.w3.org/2005/Atom"


def atom(status: Status, page: str) -> bytes:
    """The feed. `page`: the address of the status page."""
    feed = ElementTree.Element("feed", xmlns=_NAMESPACE)
    _add(feed, "title", "Palisade: status")
    _add(feed, "id", page)
    ElementTree.SubElement(feed, "link", href=page)
    ElementTree.SubElement(feed, "link", rel="self", href=f"{page}.atom")
    _add(feed, "updated", max((_updated(one) for one in status.incidents), default=status.updated_at))
    _add(ElementTree.SubElement(feed, "author"), "name", "Palisade")
    for incident in status.incidents:
        _entry(feed, incident, page)
    return ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)


def _entry(feed: ElementTree.Element, incident: PublicIncident, page: str) -> None:
    entry = ElementTree.SubElement(feed, "entry")
    _add(entry, "title", f"{incident.title}: {'is not well' if incident.status == 'open' else 'was not well'}")
    _add(entry, "id", f"urn:palisade:incident:{incident.id}")
    ElementTree.SubElement(entry, "link", href=page)
    _add(entry, "published", incident.started_at)
    _add(entry, "updated", _updated(incident))
    _add(entry, "content", "\n".join(f"{one.at} {one.text}" for one in incident.timeline))


def _updated(incident: PublicIncident) -> str:
    return max([incident.started_at, *(one.at for one in incident.timeline)])


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text
