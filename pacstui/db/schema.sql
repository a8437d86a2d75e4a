-- What the migrations lead to. A test compares the two.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    PRIMARY KEY (version_num)
);
CREATE TABLE asked_commitments (
    id INTEGER NOT NULL,
    transaction_uid TEXT DEFAULT '' NOT NULL,
    peer TEXT DEFAULT '' NOT NULL,
    study TEXT DEFAULT '' NOT NULL,
    asked TEXT DEFAULT '' NOT NULL,
    result TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    sent INTEGER DEFAULT '0' NOT NULL,
    answered INTEGER DEFAULT '0' NOT NULL,
    problem TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX asked_commitments_transaction ON asked_commitments (transaction_uid);
CREATE INDEX asked_commitments_study ON asked_commitments (peer, study);
CREATE TABLE commitments (
    id INTEGER NOT NULL,
    transaction_uid TEXT DEFAULT '' NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    received INTEGER DEFAULT '0' NOT NULL,
    asked TEXT DEFAULT '' NOT NULL,
    result TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_try INTEGER DEFAULT '0' NOT NULL,
    problem TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX commitments_open ON commitments (id) WHERE state IN ('waiting', 'reporting');
CREATE INDEX commitments_transaction ON commitments (transaction_uid);
CREATE TABLE daily (
    day TEXT NOT NULL,
    patients INTEGER DEFAULT '0' NOT NULL,
    studies INTEGER DEFAULT '0' NOT NULL,
    series INTEGER DEFAULT '0' NOT NULL,
    instances INTEGER DEFAULT '0' NOT NULL,
    bytes INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (day)
);
CREATE TABLE patients (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    patient_id TEXT DEFAULT '' NOT NULL,
    issuer TEXT DEFAULT '' NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    name_key TEXT DEFAULT '' NOT NULL,
    birth_date TEXT DEFAULT '' NOT NULL,
    sex TEXT DEFAULT '' NOT NULL,
    marked INTEGER DEFAULT '0' NOT NULL,
    person INTEGER DEFAULT '0' NOT NULL,
    hidden INTEGER DEFAULT '0' NOT NULL,
    UNIQUE (patient_id, issuer, scope)
);
CREATE INDEX patients_hidden ON patients (id) WHERE hidden != 0;
CREATE TABLE quarantine (
    id INTEGER NOT NULL,
    received INTEGER DEFAULT '0' NOT NULL,
    sop_instance TEXT DEFAULT '' NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    path TEXT DEFAULT '' NOT NULL,
    bytes INTEGER DEFAULT '0' NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX quarantine_sop_instance ON quarantine (sop_instance);
CREATE TABLE state (
    name TEXT NOT NULL,
    value TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE studies (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    patient INTEGER NOT NULL,
    study TEXT NOT NULL,
    patient_name TEXT DEFAULT '' NOT NULL,
    name_key TEXT DEFAULT '' NOT NULL,
    other_name_key TEXT DEFAULT '' NOT NULL,
    patient_id TEXT DEFAULT '' NOT NULL,
    patient_id_key TEXT DEFAULT '' NOT NULL,
    issuer TEXT DEFAULT '' NOT NULL,
    birth_date TEXT DEFAULT '' NOT NULL,
    sex TEXT DEFAULT '' NOT NULL,
    date TEXT DEFAULT '' NOT NULL,
    time TEXT DEFAULT '' NOT NULL,
    accession TEXT DEFAULT '' NOT NULL,
    accession_key TEXT DEFAULT '' NOT NULL,
    study_id TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    referring TEXT DEFAULT '' NOT NULL,
    institution TEXT DEFAULT '' NOT NULL,
    search TEXT DEFAULT '' NOT NULL,
    modalities TEXT DEFAULT '' NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    "conflict" TEXT DEFAULT '' NOT NULL,
    marked INTEGER DEFAULT '0' NOT NULL,
    series INTEGER DEFAULT '0' NOT NULL,
    instances INTEGER DEFAULT '0' NOT NULL,
    bytes INTEGER DEFAULT '0' NOT NULL,
    received INTEGER DEFAULT '0' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL,
    more TEXT DEFAULT '' NOT NULL,
    corrected TEXT DEFAULT '' NOT NULL,
    identity INTEGER DEFAULT '0' NOT NULL,
    hidden INTEGER DEFAULT '0' NOT NULL,
    FOREIGN KEY(patient) REFERENCES patients (id),
    UNIQUE (study)
);
CREATE INDEX studies_accession ON studies (accession_key) WHERE accession_key != '';
CREATE INDEX studies_conflict ON studies (id) WHERE conflict != '';
CREATE INDEX studies_date ON studies (date);
CREATE INDEX studies_hidden ON studies (id) WHERE hidden != 0;
CREATE INDEX studies_name ON studies (name_key);
CREATE INDEX studies_other_name ON studies (other_name_key) WHERE other_name_key != '';
CREATE INDEX studies_patient ON studies (patient);
CREATE INDEX studies_patient_id ON studies (patient_id_key);
CREATE TABLE series (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    study INTEGER NOT NULL,
    series TEXT NOT NULL,
    number TEXT DEFAULT '' NOT NULL,
    modality TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    station TEXT DEFAULT '' NOT NULL,
    body_part TEXT DEFAULT '' NOT NULL,
    protocol TEXT DEFAULT '' NOT NULL,
    date TEXT DEFAULT '' NOT NULL,
    time TEXT DEFAULT '' NOT NULL,
    instances INTEGER DEFAULT '0' NOT NULL,
    bytes INTEGER DEFAULT '0' NOT NULL,
    more TEXT DEFAULT '' NOT NULL,
    corrected TEXT DEFAULT '' NOT NULL,
    UNIQUE (study, series),
    FOREIGN KEY(study) REFERENCES studies (id)
);
CREATE TABLE instances (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    series INTEGER NOT NULL,
    sop_instance TEXT NOT NULL,
    sop_class TEXT DEFAULT '' NOT NULL,
    transfer_syntax TEXT DEFAULT '' NOT NULL,
    number TEXT DEFAULT '' NOT NULL,
    date TEXT DEFAULT '' NOT NULL,
    time TEXT DEFAULT '' NOT NULL,
    image_type TEXT DEFAULT '' NOT NULL,
    frames TEXT DEFAULT '' NOT NULL,
    rows TEXT DEFAULT '' NOT NULL,
    columns TEXT DEFAULT '' NOT NULL,
    digest BLOB NOT NULL,
    meta_digest BLOB NOT NULL,
    data_offset INTEGER DEFAULT '0' NOT NULL,
    size INTEGER DEFAULT '0' NOT NULL,
    path TEXT DEFAULT '' NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    received INTEGER DEFAULT '0' NOT NULL,
    missing INTEGER DEFAULT '0' NOT NULL,
    more TEXT DEFAULT '' NOT NULL,
    FOREIGN KEY(series) REFERENCES series (id),
    UNIQUE (sop_instance)
);
CREATE INDEX instances_missing ON instances (series) WHERE missing != 0;
CREATE INDEX instances_series ON instances (series);
CREATE TABLE accounts (
    id INTEGER NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    full_name TEXT DEFAULT '' NOT NULL,
    email TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    role TEXT DEFAULT '' NOT NULL,
    os_user TEXT DEFAULT '' NOT NULL,
    password TEXT DEFAULT '' NOT NULL,
    must_change INTEGER DEFAULT '0' NOT NULL,
    until INTEGER DEFAULT '0' NOT NULL,
    secret TEXT DEFAULT '' NOT NULL,
    totp TEXT DEFAULT '' NOT NULL,
    expires INTEGER DEFAULT '0' NOT NULL,
    disabled INTEGER DEFAULT '0' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    last_sign_in INTEGER DEFAULT '0' NOT NULL,
    notes TEXT DEFAULT '' NOT NULL,
    totp_step INTEGER DEFAULT '0' NOT NULL,
    recovery TEXT DEFAULT '' NOT NULL,
    origin TEXT DEFAULT '' NOT NULL,
    directory_id TEXT DEFAULT '' NOT NULL,
    directory_dn TEXT DEFAULT '' NOT NULL,
    directory_state TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX accounts_name ON accounts (name);
CREATE TABLE tokens (
    id TEXT NOT NULL,
    account INTEGER NOT NULL,
    label TEXT DEFAULT '' NOT NULL,
    digest TEXT DEFAULT '' NOT NULL,
    patterns TEXT DEFAULT '' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    creator TEXT DEFAULT '' NOT NULL,
    expires INTEGER DEFAULT '0' NOT NULL,
    last INTEGER DEFAULT '0' NOT NULL,
    origin TEXT DEFAULT '' NOT NULL,
    uses INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE roles (
    name TEXT NOT NULL,
    label TEXT DEFAULT '' NOT NULL,
    permissions TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE permission_uses (
    account INTEGER NOT NULL,
    permission TEXT NOT NULL,
    last INTEGER DEFAULT '0' NOT NULL,
    uses INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (account, permission)
);
CREATE TABLE audit (
    id INTEGER NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    outcome TEXT DEFAULT '' NOT NULL,
    who TEXT DEFAULT '' NOT NULL,
    how TEXT DEFAULT '' NOT NULL,
    origin TEXT DEFAULT '' NOT NULL,
    action TEXT DEFAULT '' NOT NULL,
    target TEXT DEFAULT '' NOT NULL,
    patient TEXT DEFAULT '' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX audit_at ON audit (at);
CREATE TABLE audit_checkpoints (
    id INTEGER NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL,
    upto INTEGER DEFAULT '0' NOT NULL,
    entries INTEGER DEFAULT '0' NOT NULL,
    last_code BLOB NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (id)
);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries stay as they are'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit WHEN OLD.id > (SELECT coalesce(max(upto), 0) FROM audit_checkpoints) BEGIN SELECT RAISE(ABORT, 'audit entries are kept'); END;
CREATE TABLE jobs (
    name TEXT NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    parameters TEXT DEFAULT '' NOT NULL,
    schedule TEXT DEFAULT '' NOT NULL,
    hours TEXT DEFAULT '' NOT NULL,
    zone TEXT DEFAULT '' NOT NULL,
    follows TEXT DEFAULT '' NOT NULL,
    overlap TEXT DEFAULT '' NOT NULL,
    enabled INTEGER DEFAULT '0' NOT NULL,
    retries INTEGER DEFAULT '0' NOT NULL,
    retry_ms INTEGER DEFAULT '0' NOT NULL,
    timeout_ms INTEGER DEFAULT '0' NOT NULL,
    builtin INTEGER DEFAULT '0' NOT NULL,
    edited INTEGER DEFAULT '0' NOT NULL,
    upto INTEGER DEFAULT '0' NOT NULL,
    missed INTEGER DEFAULT '0' NOT NULL,
    retry_at INTEGER DEFAULT '0' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    kept TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE job_runs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    started_by TEXT DEFAULT '' NOT NULL,
    planned INTEGER DEFAULT '0' NOT NULL,
    started INTEGER DEFAULT '0' NOT NULL,
    ended INTEGER DEFAULT '0' NOT NULL,
    late_ms INTEGER DEFAULT '0' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    done INTEGER DEFAULT '0' NOT NULL,
    total INTEGER DEFAULT '0' NOT NULL,
    unit TEXT DEFAULT '' NOT NULL,
    done_bytes INTEGER DEFAULT '0' NOT NULL,
    total_bytes INTEGER DEFAULT '0' NOT NULL,
    errors INTEGER DEFAULT '0' NOT NULL,
    now TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    hint TEXT DEFAULT '' NOT NULL,
    again INTEGER DEFAULT '0' NOT NULL,
    restarts INTEGER DEFAULT '0' NOT NULL,
    parameters TEXT DEFAULT '' NOT NULL
);
CREATE INDEX job_runs_job ON job_runs (job, id);
CREATE INDEX job_runs_open ON job_runs (id) WHERE state IN ('running', 'waiting') OR again != 0;
CREATE TABLE job_lines (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run INTEGER DEFAULT '0' NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL,
    level TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL
);
CREATE INDEX job_lines_run ON job_lines (run, id);
CREATE TABLE jobs_state (
    name TEXT NOT NULL,
    value TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE trash (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER DEFAULT '0' NOT NULL,
    folder TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    level TEXT DEFAULT '' NOT NULL,
    "key" TEXT DEFAULT '' NOT NULL,
    study TEXT DEFAULT '' NOT NULL,
    why TEXT DEFAULT '' NOT NULL,
    rule TEXT DEFAULT '' NOT NULL,
    by TEXT DEFAULT '' NOT NULL,
    patient_name TEXT DEFAULT '' NOT NULL,
    patient_id TEXT DEFAULT '' NOT NULL,
    date TEXT DEFAULT '' NOT NULL,
    accession TEXT DEFAULT '' NOT NULL,
    modalities TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    instances INTEGER DEFAULT '0' NOT NULL,
    bytes INTEGER DEFAULT '0' NOT NULL,
    rows TEXT DEFAULT '' NOT NULL,
    problem TEXT DEFAULT '' NOT NULL
);
CREATE INDEX trash_open ON trash (id) WHERE state != '';
CREATE TABLE trashed (
    id INTEGER NOT NULL,
    trash INTEGER NOT NULL,
    series_uid TEXT DEFAULT '' NOT NULL,
    sop_instance TEXT NOT NULL,
    sop_class TEXT DEFAULT '' NOT NULL,
    transfer_syntax TEXT DEFAULT '' NOT NULL,
    number TEXT DEFAULT '' NOT NULL,
    date TEXT DEFAULT '' NOT NULL,
    time TEXT DEFAULT '' NOT NULL,
    image_type TEXT DEFAULT '' NOT NULL,
    frames TEXT DEFAULT '' NOT NULL,
    rows TEXT DEFAULT '' NOT NULL,
    columns TEXT DEFAULT '' NOT NULL,
    digest BLOB NOT NULL,
    meta_digest BLOB NOT NULL,
    data_offset INTEGER DEFAULT '0' NOT NULL,
    size INTEGER DEFAULT '0' NOT NULL,
    path TEXT DEFAULT '' NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    received INTEGER DEFAULT '0' NOT NULL,
    missing INTEGER DEFAULT '0' NOT NULL,
    more TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(trash) REFERENCES trash (id)
);
CREATE INDEX trashed_sop_instance ON trashed (sop_instance);
CREATE INDEX trashed_trash ON trashed (trash);
CREATE TABLE sendings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    destination TEXT DEFAULT '' NOT NULL,
    route TEXT DEFAULT '' NOT NULL,
    study TEXT DEFAULT '' NOT NULL,
    series TEXT DEFAULT '' NOT NULL,
    level TEXT DEFAULT '' NOT NULL,
    transform TEXT DEFAULT '' NOT NULL,
    asked_by TEXT DEFAULT '' NOT NULL,
    priority INTEGER DEFAULT '1' NOT NULL,
    held INTEGER DEFAULT '0' NOT NULL,
    queued INTEGER DEFAULT '0' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL,
    due INTEGER DEFAULT '0' NOT NULL,
    waiting INTEGER DEFAULT '0' NOT NULL,
    sent INTEGER DEFAULT '0' NOT NULL,
    warning INTEGER DEFAULT '0' NOT NULL,
    failed INTEGER DEFAULT '0' NOT NULL,
    cancelled INTEGER DEFAULT '0' NOT NULL,
    filtered INTEGER DEFAULT '0' NOT NULL,
    bytes_waiting INTEGER DEFAULT '0' NOT NULL,
    bytes_sent INTEGER DEFAULT '0' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    status INTEGER DEFAULT '-1' NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    hint TEXT DEFAULT '' NOT NULL
);
CREATE INDEX sendings_waiting ON sendings (destination, priority, id) WHERE waiting > 0;
CREATE INDEX sendings_failed ON sendings (destination, id) WHERE failed > 0;
CREATE INDEX sendings_study ON sendings (study, destination);
CREATE INDEX sendings_changed ON sendings (changed);
CREATE TABLE outbox (
    id INTEGER NOT NULL,
    sending INTEGER NOT NULL,
    sop_instance TEXT NOT NULL,
    size INTEGER DEFAULT '0' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_try INTEGER DEFAULT '0' NOT NULL,
    status INTEGER DEFAULT '-1' NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    hint TEXT DEFAULT '' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(sending) REFERENCES sendings (id),
    UNIQUE (sending, sop_instance)
);
CREATE INDEX outbox_waiting ON outbox (sending, id) WHERE state = 'waiting';
CREATE INDEX outbox_failed ON outbox (sending, error) WHERE state = 'failed';
CREATE TABLE routes (
    name TEXT NOT NULL,
    place INTEGER DEFAULT '0' NOT NULL,
    body TEXT DEFAULT '' NOT NULL,
    "by" TEXT DEFAULT '' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE destinations (
    name TEXT NOT NULL,
    body TEXT DEFAULT '' NOT NULL,
    paused TEXT DEFAULT '' NOT NULL,
    paused_by TEXT DEFAULT '' NOT NULL,
    paused_at INTEGER DEFAULT '0' NOT NULL,
    "by" TEXT DEFAULT '' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE maintenance (
    id INTEGER NOT NULL,
    start INTEGER DEFAULT '0' NOT NULL,
    "end" INTEGER DEFAULT '0' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    owner TEXT DEFAULT '' NOT NULL,
    effect TEXT DEFAULT '' NOT NULL,
    peers TEXT DEFAULT '[]' NOT NULL,
    cancelled INTEGER DEFAULT '0' NOT NULL,
    made_by TEXT DEFAULT '' NOT NULL,
    made INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX maintenance_end ON maintenance ("end");
CREATE TABLE changes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER DEFAULT '0' NOT NULL,
    who TEXT DEFAULT '' NOT NULL,
    how TEXT DEFAULT '' NOT NULL,
    "key" TEXT DEFAULT '' NOT NULL,
    old TEXT DEFAULT '' NOT NULL,
    new TEXT DEFAULT '' NOT NULL
);
CREATE TABLE usage (
    day TEXT NOT NULL,
    what TEXT NOT NULL,
    who TEXT NOT NULL,
    amount INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (day, what, who)
);
CREATE TABLE pins (
    study TEXT NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL,
    "by" TEXT DEFAULT '' NOT NULL,
    why TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (study)
);
CREATE TABLE peers (
    name TEXT NOT NULL,
    configured INTEGER DEFAULT '0' NOT NULL,
    body TEXT DEFAULT '' NOT NULL,
    by TEXT DEFAULT '' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE peer_echoes (
    id INTEGER NOT NULL,
    peer TEXT NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL,
    ok INTEGER DEFAULT '0' NOT NULL,
    us INTEGER DEFAULT '0' NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX peer_echoes_peer ON peer_echoes (peer, at);
CREATE TABLE peer_days (
    peer TEXT NOT NULL,
    day TEXT NOT NULL,
    asked INTEGER DEFAULT '0' NOT NULL,
    answered INTEGER DEFAULT '0' NOT NULL,
    up_ms INTEGER DEFAULT '0' NOT NULL,
    down_ms INTEGER DEFAULT '0' NOT NULL,
    min_us INTEGER DEFAULT '0' NOT NULL,
    median_us INTEGER DEFAULT '0' NOT NULL,
    max_us INTEGER DEFAULT '0' NOT NULL,
    calls_in INTEGER DEFAULT '0' NOT NULL,
    calls_out INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (peer, day)
);
CREATE TABLE peer_ends (
    peer TEXT NOT NULL,
    way TEXT NOT NULL,
    last INTEGER DEFAULT '0' NOT NULL,
    associations INTEGER DEFAULT '0' NOT NULL,
    body TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (peer, way)
);
CREATE TABLE peer_callers (
    id INTEGER NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    called TEXT DEFAULT '' NOT NULL,
    address TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    hint TEXT DEFAULT '' NOT NULL,
    body TEXT DEFAULT '' NOT NULL,
    count INTEGER DEFAULT '0' NOT NULL,
    titles INTEGER DEFAULT '0' NOT NULL,
    first INTEGER DEFAULT '0' NOT NULL,
    last INTEGER DEFAULT '0' NOT NULL,
    ignored INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE persons (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    patient_id TEXT DEFAULT '' NOT NULL,
    issuer TEXT DEFAULT '' NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    name_key TEXT DEFAULT '' NOT NULL,
    birth_date TEXT DEFAULT '' NOT NULL,
    sex TEXT DEFAULT '' NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    merged_into INTEGER DEFAULT '0' NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL,
    UNIQUE (patient_id, issuer)
);
CREATE INDEX persons_birth ON persons (birth_date) WHERE birth_date != '';
CREATE INDEX persons_merged ON persons (merged_into) WHERE merged_into != 0;
CREATE INDEX persons_name ON persons (name_key);
CREATE TABLE orders (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    person INTEGER DEFAULT '0' NOT NULL,
    placer TEXT DEFAULT '' NOT NULL,
    filler TEXT DEFAULT '' NOT NULL,
    accession TEXT DEFAULT '' NOT NULL,
    accession_key TEXT DEFAULT '' NOT NULL,
    procedure_id TEXT DEFAULT '' NOT NULL,
    study TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    priority TEXT DEFAULT '' NOT NULL,
    code TEXT DEFAULT '' NOT NULL,
    scheme TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    referring TEXT DEFAULT '' NOT NULL,
    requesting TEXT DEFAULT '' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL
);
CREATE INDEX orders_accession ON orders (accession_key) WHERE accession_key != '';
CREATE INDEX orders_filler ON orders (filler) WHERE filler != '';
CREATE INDEX orders_person ON orders (person);
CREATE INDEX orders_placer ON orders (placer) WHERE placer != '';
CREATE INDEX orders_procedure_id ON orders (procedure_id) WHERE procedure_id != '';
CREATE INDEX orders_study ON orders (study);
CREATE TABLE steps (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "order" INTEGER NOT NULL,
    step_id TEXT DEFAULT '' NOT NULL,
    modality TEXT DEFAULT '' NOT NULL,
    station_ae TEXT DEFAULT '' NOT NULL,
    station_name TEXT DEFAULT '' NOT NULL,
    room TEXT DEFAULT '' NOT NULL,
    date TEXT DEFAULT '' NOT NULL,
    time TEXT DEFAULT '' NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    codes TEXT DEFAULT '[]' NOT NULL,
    physician TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    performed TEXT DEFAULT '' NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL
);
CREATE INDEX steps_date ON steps (date, time);
CREATE INDEX steps_order ON steps ("order");
CREATE INDEX steps_step_id ON steps (step_id);
CREATE TABLE performed (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    sop_instance TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    station_ae TEXT DEFAULT '' NOT NULL,
    modality TEXT DEFAULT '' NOT NULL,
    patient_id TEXT DEFAULT '' NOT NULL,
    issuer TEXT DEFAULT '' NOT NULL,
    patient_name TEXT DEFAULT '' NOT NULL,
    study TEXT DEFAULT '' NOT NULL,
    accession TEXT DEFAULT '' NOT NULL,
    step_id TEXT DEFAULT '' NOT NULL,
    step INTEGER DEFAULT '0' NOT NULL,
    started TEXT DEFAULT '' NOT NULL,
    ended TEXT DEFAULT '' NOT NULL,
    images INTEGER DEFAULT '0' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    data BLOB NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL
);
CREATE UNIQUE INDEX performed_sop_instance ON performed (sop_instance);
CREATE INDEX performed_started ON performed (started);
CREATE INDEX performed_step ON performed (step);
CREATE INDEX performed_study ON performed (study);
CREATE INDEX performed_unordered ON performed (accession) WHERE step = 0;
CREATE TABLE matches (
    study TEXT NOT NULL,
    "order" INTEGER DEFAULT '0' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    score INTEGER DEFAULT '0' NOT NULL,
    why TEXT DEFAULT '' NOT NULL,
    settled TEXT DEFAULT '' NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL, seen INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (study)
);
CREATE INDEX matches_open ON matches (at) WHERE state IN ('probable', 'unmatched', 'conflicting') AND settled = '';
CREATE INDEX matches_order ON matches ("order") WHERE "order" != 0;
CREATE INDEX matches_settled ON matches (at) WHERE settled != '';
CREATE TABLE former_identities (
    study TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    PRIMARY KEY (study, patient_id, issuer)
);
CREATE TABLE hl7_messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER DEFAULT '0' NOT NULL,
    origin TEXT DEFAULT '' NOT NULL,
    sender TEXT DEFAULT '' NOT NULL,
    facility TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    control TEXT DEFAULT '' NOT NULL,
    digest BLOB NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    answer TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    hint TEXT DEFAULT '' NOT NULL,
    patient_id TEXT DEFAULT '' NOT NULL,
    accession TEXT DEFAULT '' NOT NULL,
    size INTEGER DEFAULT '0' NOT NULL,
    batch INTEGER DEFAULT '0' NOT NULL,
    original INTEGER DEFAULT '0' NOT NULL,
    made_by TEXT DEFAULT '' NOT NULL,
    resolved_by TEXT DEFAULT '' NOT NULL,
    charset TEXT DEFAULT '' NOT NULL
);
CREATE INDEX hl7_messages_at ON hl7_messages (at);
CREATE INDEX hl7_messages_control ON hl7_messages (control, sender, facility) WHERE original = 0;
CREATE INDEX hl7_messages_open ON hl7_messages (id) WHERE state = 'failed';
CREATE INDEX hl7_messages_original ON hl7_messages (original) WHERE original != 0;
CREATE TABLE hl7_bodies (
    id INTEGER NOT NULL,
    raw BLOB NOT NULL,
    reply BLOB NOT NULL,
    words TEXT DEFAULT '' NOT NULL,
    faults TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE hl7_keys (
    "key" TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY ("key", message)
)
    WITHOUT ROWID;
CREATE INDEX hl7_keys_message ON hl7_keys (message);
CREATE TABLE hl7_outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER DEFAULT '0' NOT NULL,
    receiver TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    what TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    control TEXT DEFAULT '' NOT NULL,
    raw BLOB NOT NULL,
    source INTEGER DEFAULT '0' NOT NULL,
    patient_id TEXT DEFAULT '' NOT NULL,
    accession TEXT DEFAULT '' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_try INTEGER DEFAULT '0' NOT NULL,
    answer TEXT DEFAULT '' NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    hint TEXT DEFAULT '' NOT NULL,
    reply BLOB DEFAULT (x'') NOT NULL,
    who TEXT DEFAULT '' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL
);
CREATE INDEX hl7_outbox_control ON hl7_outbox (control);
CREATE INDEX hl7_outbox_done ON hl7_outbox (changed) WHERE state IN ('sent', 'cancelled');
CREATE INDEX hl7_outbox_open ON hl7_outbox (receiver, state, id) WHERE state IN ('waiting', 'failed', 'held');
CREATE INDEX hl7_outbox_receiver ON hl7_outbox (receiver, id);
CREATE INDEX hl7_outbox_waiting ON hl7_outbox (receiver, id) WHERE state = 'waiting';
CREATE TABLE hl7_receivers (
    name TEXT NOT NULL,
    sent INTEGER DEFAULT '0' NOT NULL,
    last_sent INTEGER DEFAULT '0' NOT NULL,
    held_by TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE hl7_told (
    notification TEXT NOT NULL,
    subject TEXT NOT NULL,
    said TEXT DEFAULT '' NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (notification, subject)
);
CREATE TABLE merges (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER DEFAULT '0' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    prior INTEGER DEFAULT '0' NOT NULL,
    survivor INTEGER DEFAULT '0' NOT NULL,
    source TEXT DEFAULT '' NOT NULL,
    control TEXT DEFAULT '' NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    undone INTEGER DEFAULT '0' NOT NULL
);
CREATE INDEX merges_prior ON merges (prior);
CREATE INDEX merges_survivor ON merges (survivor);
CREATE TABLE performed_messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    performed INTEGER DEFAULT '0' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    calling TEXT DEFAULT '' NOT NULL,
    transfer_syntax TEXT DEFAULT '' NOT NULL,
    data BLOB NOT NULL,
    at INTEGER DEFAULT '0' NOT NULL
);
CREATE INDEX performed_messages_performed ON performed_messages (performed);
CREATE TABLE performed_steps (
    performed INTEGER NOT NULL,
    step INTEGER NOT NULL,
    PRIMARY KEY (performed, step)
);
CREATE INDEX performed_steps_step ON performed_steps (step);
CREATE TABLE mpps_outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message INTEGER DEFAULT '0' NOT NULL,
    performed INTEGER DEFAULT '0' NOT NULL,
    peer TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_try INTEGER DEFAULT '0' NOT NULL,
    problem TEXT DEFAULT '' NOT NULL,
    hint TEXT DEFAULT '' NOT NULL,
    created INTEGER DEFAULT '0' NOT NULL,
    changed INTEGER DEFAULT '0' NOT NULL
);
CREATE INDEX mpps_outbox_failed ON mpps_outbox (peer) WHERE state = 'failed';
CREATE INDEX mpps_outbox_performed ON mpps_outbox (performed);
CREATE INDEX mpps_outbox_waiting ON mpps_outbox (peer, id) WHERE state = 'waiting';
CREATE TABLE corrections (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER DEFAULT '0' NOT NULL,
    "by" TEXT DEFAULT '' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    study TEXT DEFAULT '' NOT NULL,
    patient_name TEXT DEFAULT '' NOT NULL,
    patient_id TEXT DEFAULT '' NOT NULL,
    sentence TEXT DEFAULT '' NOT NULL,
    why TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT '' NOT NULL,
    instances INTEGER DEFAULT '0' NOT NULL,
    undone_by TEXT DEFAULT '' NOT NULL,
    undone INTEGER DEFAULT '0' NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    note BLOB,
    note_uid TEXT DEFAULT '' NOT NULL
);
CREATE INDEX corrections_note ON corrections (note_uid) WHERE note_uid != '';
CREATE INDEX corrections_study ON corrections (study);
CREATE TABLE corrected_studies (
    correction INTEGER NOT NULL,
    study TEXT NOT NULL,
    PRIMARY KEY (study, correction)
);
CREATE TABLE redirects (
    correction INTEGER NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    to_study TEXT DEFAULT '' NOT NULL,
    to_series TEXT DEFAULT '' NOT NULL,
    renames INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (study, series, correction)
);
CREATE INDEX redirects_correction ON redirects (correction);
CREATE INDEX redirects_to ON redirects (to_study);
CREATE TABLE renamed_instances (
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    correction INTEGER NOT NULL,
    PRIMARY KEY (old)
);
CREATE INDEX renamed_instances_correction ON renamed_instances (correction);
CREATE INDEX renamed_instances_new ON renamed_instances (new);
CREATE TABLE corrected_instances (
    sop_instance TEXT NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    PRIMARY KEY (sop_instance)
);
CREATE TABLE away (
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    body TEXT DEFAULT '{}' NOT NULL,
    PRIMARY KEY (study, series)
);
CREATE TABLE rejected_instances (
    sop_instance TEXT NOT NULL,
    correction INTEGER NOT NULL,
    study TEXT DEFAULT '' NOT NULL,
    series TEXT DEFAULT '' NOT NULL,
    to_study TEXT DEFAULT '' NOT NULL,
    note_study TEXT DEFAULT '' NOT NULL,
    awaited INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (sop_instance, correction)
);
CREATE INDEX rejected_instances_correction ON rejected_instances (correction);
CREATE TRIGGER studies_identity AFTER UPDATE OF patient_id, issuer, patient_name, birth_date, sex ON studies WHEN OLD.identity = 0 AND (OLD.patient_id != NEW.patient_id OR OLD.issuer != NEW.issuer OR (OLD.patient_name != '' AND OLD.patient_name != NEW.patient_name) OR (OLD.birth_date != '' AND OLD.birth_date != NEW.birth_date) OR (OLD.sex != '' AND OLD.sex != NEW.sex)) BEGIN UPDATE studies SET identity = 1 WHERE id = NEW.id; END;
