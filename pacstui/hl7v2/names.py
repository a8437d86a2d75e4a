"""What fields are called (HL7 v2.5, chapters 2, 3, 4, 7; HL7 v2.5.1 for IPC; IHE RAD TF-2 for ZDS)."""

from __future__ import annotations

from typing import Final

_SEGMENTS: Final[dict[str, tuple[str, str]]] = {
    "MSH": ("message header",
        "field separator|encoding characters|sending application|sending facility|receiving application|"
        "receiving facility|date and time of message|security|message type|message control ID|processing ID|version ID|"
        "sequence number|continuation pointer|accept acknowledgement|application acknowledgement|country code|"
        "character set|principal language|alternate character set handling|message profile"),
    "EVN": ("event",
        "event type|recorded|planned|reason|operator|occurred|facility"),
    "PID": ("patient",
        "set ID|patient ID (external)|patient identifiers|alternate patient ID|patient name|mother's maiden name|"
        "birth date|sex|alias|race|address|county code|phone (home)|phone (business)|primary language|marital status|"
        "religion|account number|SSN|driver's licence|mother's identifier|ethnic group|birth place|multiple birth|"
        "birth order|citizenship|veterans status|nationality|death date|death indicator|"
        "identity unknown|identity reliability|last update|last update facility|species|breed|strain|production class|"
        "tribal citizenship"),
    "PD1": ("patient, additional",
        "living dependency|living arrangement|primary facility|primary care provider|student|handicap|living will|"
        "organ donor|separate bill|duplicate patient|publicity|protection|protection effective|place of worship"),
    "PV1": ("visit",
        "set ID|patient class|location|admission type|preadmit number|prior location|attending doctor|"
        "referring doctor|consulting doctor|hospital service|temporary location|preadmit test|re-admission|"
        "admit source|ambulatory status|VIP|admitting doctor|patient type|visit number|financial class|charge price|"
        "courtesy code|credit rating|contract code|contract date|contract amount|contract period|interest code|"
        "bad debt code|bad debt date|bad debt agency|transfer amount|recovery amount|delete account|delete date|"
        "discharge disposition|discharged to|diet|servicing facility|bed status|account status|pending location|"
        "prior temporary location|admitted|discharged|current balance|total charges|total adjustments|total payments|"
        "alternate visit ID|visit indicator|other provider"),
    "PV2": ("visit, additional",
        "prior pending location|accommodation|admit reason|transfer reason|valuables|valuables location|"
        "visit user code|expected admission|expected discharge"),
    "MRG": ("merge",
        "prior patient identifiers|prior alternate ID|prior account number|prior patient ID|prior visit number|"
        "prior alternate visit ID|prior patient name"),
    "AL1": ("allergy", "set ID|type|code|severity|reaction|identified"),
    "DG1": ("diagnosis", "set ID|coding method|code|description|date and time|type"),
    "ORC": ("common order",
        "order control|placer order number|filler order number|placer group number|order status|response flag|"
        "quantity/timing|parent|transaction time|entered by|verified by|ordering provider|enterer's location|call back|"
        "effective|control reason|entering organization|entering device|action by|beneficiary notice|"
        "ordering facility|ordering facility address|ordering facility phone|ordering provider address|"
        "order status modifier|override reason|fills expected|confidentiality|order type|authorization mode"),
    "OBR": ("observation request",
        "set ID|placer order number|filler order number|universal service|priority|requested|observation start|"
        "observation end|collection volume|collector|specimen action|danger code|clinical information|"
        "specimen received|specimen source|ordering provider|call back phone|placer field 1 (accession number)|"
        "placer field 2 (requested procedure ID)|filler field 1 (scheduled step ID)|filler field 2|"
        "result status change|charge|diagnostic section (modality)|result status|parent result|quantity/timing|"
        "copies to|parent|"
        "transportation mode|reason for study|result interpreter|assistant interpreter|technician|transcriptionist|"
        "scheduled|sample containers|transport logistics|collector's comment|transport arrangement|"
        "transport arranged|escort required|planned transport comment|procedure code|procedure code modifier|"
        "supplemental information|filler supplemental information|duplicate reason|result handling"),
    "TQ1": ("timing and quantity",
        "set ID|quantity|repeat pattern|explicit time|relative time|service duration|start|end|priority|"
        "condition|instruction|conjunction|occurrence duration|total occurrences"),
    "OBX": ("observation",
        "set ID|value type|observation identifier|sub-ID|value|units|reference range|abnormal flags|probability|"
        "nature of abnormal test|result status|effective date of range|access checks|observed|producer|observer|method|"
        "equipment|analysed"),
    "NTE": ("note", "set ID|source|comment|comment type"),
    "IPC": ("imaging procedure control",
        "accession identifier|requested procedure ID|study instance UID|scheduled procedure step ID|modality|"
        "protocol code|scheduled station name|scheduled procedure step location|scheduled station AE title"),
    "ZDS": ("study (IHE)", "study instance UID"),
    "MSA": ("acknowledgement",
        "acknowledgement code|message control ID|text|expected sequence number|delayed acknowledgement|"
        "error condition|waiting number|waiting priority"),
    "ERR": ("error",
        "code and location|location|HL7 error code|severity|application error code|application error parameter|"
        "diagnosis|user message|inform person|override type|override reason|help desk"),
    "QAK": ("query acknowledgement", "query tag|response status|query name"),
    "FHS": ("file header", "field separator|encoding characters|sending application|sending facility"),
    "BHS": ("batch header", "field separator|encoding characters|sending application|sending facility"),
    "BTS": ("batch trailer", "message count|comment|totals"),
    "FTS": ("file trailer", "batch count|comment"),
    "IN1": ("insurance", "set ID|plan|company ID|company name"),
    "GT1": ("guarantor", "set ID|number|name"),
    "NK1": ("next of kin", "set ID|name|relationship|address|phone"),
    "SCH": ("schedule activity", "placer appointment ID|filler appointment ID"),
    "SPM": ("specimen", "set ID|specimen ID|parent IDs|specimen type"),
}  # fmt: skip


def title(segment: str) -> str:
    """Return what a segment is; empty for one that is not known."""
    return _SEGMENTS.get(segment, ("", ""))[0]


def fields(segment: str) -> tuple[str, ...]:
    """Return the names of a segment's fields, the first for field 1."""
    return tuple(_SEGMENTS.get(segment, ("", ""))[1].split("|"))
