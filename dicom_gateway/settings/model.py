"""The settings as frozen values: every section of the file, every field with its unit, its default and why.

The manual's page is made from these fields (`dicom_gateway.settings.manual`), so a field without a reason shows there.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_gateway.settings.fields import setting

if TYPE_CHECKING:
    from dicom_gateway.route.rules import Route

__all__ = [
    "Bundles",
    "Complete",
    "Contour",
    "Database",
    "Destination",
    "Dose",
    "Flow",
    "Listen",
    "Peer",
    "Quality",
    "Report",
    "Settings",
    "Store",
    "Web",
]

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True)
class Store:
    """Where received objects and results lie."""

    root: Path = setting(  # noqa: RUF009 - a frozen default
        Path("store"),
        "Folder of everything that is kept, relative to this file. One file system below it: a rename must be atomic.",
    )
    low_free: float = setting(
        0.15,
        "Below this share of free space a C-STORE is answered with 0xA700 (out of resources), so that the sender keeps "
        "the image and tries again.",
        unit="share",
        at_least=0.0,
        at_most=0.9,
    )
    floor_free: float = setting(
        0.05,
        "Below this share of free space new associations are refused as well, so that running work can finish.",
        unit="share",
        at_least=0.0,
        at_most=0.9,
    )


@dataclass(frozen=True)
class Listen:
    """The DICOM listener."""

    aet: str = setting("RADGATE", "AE title by which peers call us; an association for another title is rejected.")
    host: str = setting(
        "127.0.0.1",
        "Address to listen on. The default is reachable from this machine only; another one needs `[[peer]]` entries.",
    )
    port: int = setting(11112, "TCP port; 0 takes a free one.", at_least=0, at_most=65535)
    max_pdu: int = setting(
        131072,
        "Largest PDU we accept. 128 KiB receives 1.3 to 1.4 times faster than the usual 16 KiB.",
        unit="byte",
        at_least=4096,
        at_most=4194304,
    )
    max_associations: int = setting(
        40, "Associations at the same time; the next one is rejected with 'local limit exceeded'.", at_least=1
    )
    max_associations_per_peer: int = setting(
        20, "Associations at the same time from one AE title, so that one peer cannot lock out the others.", at_least=1
    )
    acse_timeout_s: float = setting(30.0, "How long a peer may take to negotiate.", unit="s", at_least=0.1)
    dimse_timeout_s: float = setting(60.0, "How long a message may take to arrive.", unit="s", at_least=0.1)
    network_timeout_s: float = setting(
        120.0, "An association that is silent for this long is aborted.", unit="s", at_least=0.1
    )
    private_classes: tuple[str, ...] = setting(
        (), "UIDs of private storage classes to accept beside all standard ones."
    )


@dataclass(frozen=True)
class Peer:
    """Another system that may call us."""

    aet: str = setting(why="Its AE title (calling AE).")
    addresses: tuple[Network, ...] = setting(
        LOOPBACK, "Addresses and networks it may call from, such as `10.1.2.0/24`. The default is this machine only."
    )
    may: tuple[str, ...] = setting(("store", "echo"), "What it may do.", choices=("store", "echo"))
    qc_profiles: tuple[str, ...] = setting(
        (),
        "Protocol profiles of image quality for what it sends, such as `ct_rt_sim` for a simulator: a series gets the "
        "first that is made for its modality, where none is as `auto` would choose.",
    )


@dataclass(frozen=True)
class Database:
    """The index, the ledger and the durable steps."""

    url: str = setting(
        "sqlite",
        "`sqlite` is a file below the store's root; or a PostgreSQL address `postgresql+psycopg://...`; or `env:NAME` "
        "for an address in an environment variable, which keeps a password out of this file.",
        secret=True,
    )


@dataclass(frozen=True)
class Complete:
    """When a study counts as complete."""

    quiet_s: float = setting(
        60.0,
        "Without a known number of images, a series is complete after this silence, if no slice is missing. Shorter "
        "brings results sooner and mistakes a slow sender for a finished one.",
        unit="s",
        at_least=0.05,
    )
    known_s: float = setting(
        2.0, "Wait after the last image when the known number of images has come.", unit="s", at_least=0.0
    )
    gap_wait_s: float = setting(
        300.0, "Wait for missing slices before the study is taken as incomplete.", unit="s", at_least=0.05
    )
    max_wait_s: float = setting(
        900.0, "Wait for a known number of images before the study is taken as incomplete.", unit="s", at_least=0.05
    )
    force_s: float = setting(
        5400.0, "A study that never falls silent is decided after this time.", unit="s", at_least=0.1
    )


@dataclass(frozen=True)
class Destination:
    """A system that results are sent to."""

    name: str = setting(why="Name by which routes refer to it.")
    kind: str = setting("dicom", "`dicom` sends by C-STORE, `stow` by STOW-RS.", choices=("dicom", "stow"))
    aet: str = setting("", "AE title of a `dicom` destination.")
    host: str = setting("", "Address of a `dicom` destination.")
    port: int = setting(104, "Port of a `dicom` destination.", at_least=1, at_most=65535)
    calling_aet: str = setting("", "AE title under which we call it; empty takes `listen.aet`.")
    url: str = setting("", "DICOMweb root of a `stow` destination; `/studies` is added.")
    token_env: str = setting("", "Environment variable with the bearer token of a `stow` destination.")
    verify: bool = setting(
        False, "After acceptance ask by C-FIND or QIDO-RS whether the object is there; only then it counts as verified."
    )
    outlets: tuple[str, ...] = setting(
        ("seg", "rtstruct", "sr", "pdf", "reg", "rtdose", "sc"),
        "Kinds of results it takes. `reg`, `rtdose` and `sc` (pictures) come from sums of doses. `quality_sr` is the "
        "verdict on every series that is received, `quality_kos` the list of images with a quality issue or rejected "
        "by a person (an archive may hide the latter).",
        choices=("seg", "rtstruct", "sr", "pdf", "reg", "rtdose", "sc", "quality_sr", "quality_kos"),
    )
    rt_profile: str = setting(
        "generic",
        "Export profile of structure sets: the rules of the planning system behind this destination.",
        choices=("generic", "eclipse", "raystation", "mim", "monaco", "pinnacle"),
    )
    seg: str = setting(
        "binary",
        "Kind of segmentation. `labelmap` is far smaller; older viewers do not know it, and structures that overlap "
        "are written as `binary` all the same.",
        choices=("binary", "labelmap"),
    )
    connect_timeout_s: float = setting(10.0, "How long it may take to connect.", unit="s", at_least=0.1)
    response_timeout_s: float = setting(60.0, "How long it may take to answer an object.", unit="s", at_least=0.1)
    give_up_h: float = setting(
        72.0,
        "After this time an object that was not taken is given up (DEAD); `radgate deliver resend --dead` revives it.",
        unit="h",
        at_least=0.001,
    )


@dataclass(frozen=True)
class Bundles:
    """Bundles of networks and algorithms."""

    folders: tuple[Path, ...] = setting(
        (), "Folders with bundles of the site, relative to this file, beside the shipped ones."
    )


@dataclass(frozen=True)
class Flow:
    """The work on studies."""

    at_once: int = setting(
        1,
        "Studies worked on at the same time. Each takes a share of the processors and its own memory: more than one "
        "pays only where both are plenty.",
        at_least=1,
        at_most=64,
    )


@dataclass(frozen=True)
class Web:
    """Pages and DICOMweb."""

    host: str = setting(
        "127.0.0.1",
        "Address of the pages. The default is reachable from this machine only; another one needs `token_file`.",
    )
    port: int = setting(8180, "TCP port; 0 takes a free one.", at_least=0, at_most=65535)
    token_file: Path | None = setting(  # noqa: RUF009 - a frozen default
        None, "File whose first line is the token that pages and DICOMweb ask for, relative to this file."
    )


@dataclass(frozen=True)
class Quality:
    """Image quality while images arrive, its alerts, and phantoms."""

    live: bool = setting(True, "Whether series are judged while they arrive, for the board of the technicians.")
    profiles: tuple[Path, ...] = setting(
        (), "Folders or files with protocol profiles of the site, relative to this file, beside the shipped ones."
    )
    alert_from: str = setting(
        "FAIL",
        "Worst grade at which a message goes out (the board shows both). `WARN` sends far more of them.",
        choices=("WARN", "FAIL"),
    )
    webhooks: tuple[str, ...] = setting(
        (), "Addresses that get each alert as JSON by POST; nothing else is ever called, and no redirect is followed."
    )
    smtp_host: str = setting("", "Mail server for alerts; empty sends no mail.")
    smtp_port: int = setting(25, "Its port.", at_least=1, at_most=65535)
    mail_from: str = setting("", "Sender of the mails.")
    mail_to: tuple[str, ...] = setting((), "Who gets them; a mail holds no patient data, only a link to the board.")
    board_url: str = setting("", "Address of the pages as people reach them, for the links in messages.")
    phantom_python: Path | None = setting(  # noqa: RUF009 - a frozen default
        None,
        "Interpreter of an environment of its own with pylinac, which needs an older pydicom than radgate. Without it "
        "phantoms other than plain water are not evaluated.",
    )
    phantom_timeout_s: float = setting(120.0, "Longest time for one phantom.", unit="s", at_least=1.0)
    phantom_memory_mb: int = setting(4096, "Largest memory of that process.", unit="MiB", at_least=256)


@dataclass(frozen=True)
class Dose:
    """Sums of doses."""

    limits: tuple[Path, ...] = setting(
        (),
        "Files with the clinic's own limits of dose, relative to this file. Those for a site take the place of the "
        "shipped ones; those without a site always apply.",
    )


@dataclass(frozen=True)
class Contour:
    """Contours."""

    aliases: Path | None = setting(  # noqa: RUF009 - a frozen default
        None,
        'TOML file with the site\'s names of structures, one a line (`"GTV-1" = "GTVp"`), relative to this file. '
        "Labels of bundles and structures of RTSTRUCT files get their TG-263 names by it: in the service, in "
        "`radgate run`, and in `radgate contour` and `radgate dose` with `--config`.",
    )


@dataclass(frozen=True)
class Report:
    """Texts for people."""

    language: str = setting("zh", "Language of reports and of texts in results.", choices=("zh", "en"))


@dataclass(frozen=True)
class Settings:
    """Everything a site can set, read once at the start.

    `source` is the file it came from (None for defaults), which error messages and the page name.
    """

    store: Store = field(default_factory=Store)
    listen: Listen = field(default_factory=Listen)
    peers: tuple[Peer, ...] = ()
    database: Database = field(default_factory=Database)
    complete: Complete = field(default_factory=Complete)
    destinations: tuple[Destination, ...] = ()
    routes: "tuple[Route, ...]" = ()
    bundles: Bundles = field(default_factory=Bundles)
    flow: Flow = field(default_factory=Flow)
    web: Web = field(default_factory=Web)
    report: Report = field(default_factory=Report)
    quality: Quality = field(default_factory=Quality)
    dose: Dose = field(default_factory=Dose)
    contour: Contour = field(default_factory=Contour)
    source: Path | None = None
