"""The seventy-five hostile inputs: by number what is sent, and the tests that send it, or why there is none.

A test is named by its file and its function; `test_hostile_table.py` sees to it that each is there.
"""

from typing import Final, NamedTuple

BODIES = "api/test_api_bodies.py"
EDGE = "api/test_api_edge.py"
ACCESS = "api/test_api_access.py"
REPEATS = "api/test_api_repeats.py"
REST = "api/test_hostile_rest.py"
ADDRESSES = "providers/test_addresses.py"
FORBIDDEN = "providers/test_forbidden_addresses.py"
CANARY = "providers/test_loopback_canary.py"
GUARDED = "providers/test_guarded_http.py"
LOOK_UPS = "providers/test_look_ups.py"
ANSWERS = "providers/test_hostile_answers.py"
RECEIVERS = "webhooks/test_hostile_receivers.py"
RETRY = "webhooks/test_retry.py"
CLAIMS = "webhooks/test_claims.py"
TOKENS = "providers/test_tokens.py"
GRANTS = "providers/test_grants.py"
PUSH = "flows/test_push.py"
NOTICES = "flows/test_microsoft_notices.py"
HOSTED = "hosted/test_hosted_hostile.py"
STATES = "store/test_oauth_states.py"


class Input(NamedTuple):
    """One hostile input: its tests (`file::function`), or the reason why it does not apply."""

    what: str
    tests: tuple[str, ...] = ()
    reason: str = ""


INPUTS: Final = {
    1: Input("JSON with a byte that is no UTF-8", (f"{BODIES}::test_hostile_json",)),
    2: Input("10,000 nested objects", (f"{BODIES}::test_hostile_json",)),
    3: Input("100,000 opening brackets", (f"{BODIES}::test_depth_is_counted_and_not_suffered",)),
    4: Input("a body of 2 MiB, by length and in chunks", (f"{BODIES}::test_two_mebibytes_are_413",)),
    5: Input(
        "a body that never arrives, or not before it is answered",
        (
            f"{EDGE}::test_a_body_that_does_not_arrive_is_408_and_the_connection_ends",
            f"{REST}::test_who_was_answered_holds_the_connection_no_longer_than_an_idle_one",
        ),
    ),
    6: Input("a head that comes byte by byte", (f"{REST}::test_a_head_that_never_ends_is_hung_up_on",)),
    7: Input("Content-Length beside Transfer-Encoding", (f"{EDGE}::test_an_ambiguous_length_is_400",)),
    8: Input("two lengths", (f"{EDGE}::test_an_ambiguous_length_is_400",)),
    9: Input("JSON that says it is text, or a form", (f"{BODIES}::test_other_media_types_are_415",)),
    10: Input("a packed body", (f"{BODIES}::test_other_media_types_are_415",)),
    11: Input("a name twice in one object", (f"{BODIES}::test_hostile_json",)),
    12: Input("NUL in a string", (f"{BODIES}::test_hostile_json",)),
    13: Input("half a surrogate pair", (f"{BODIES}::test_hostile_json",)),
    14: Input("2^70, 5,000 digits, NaN", (f"{BODIES}::test_hostile_json",)),
    15: Input(
        "huge names, many keys, signs that turn text around",
        (f"{BODIES}::test_a_wrong_field_is_named", f"{BODIES}::test_odd_but_harmless_text_is_stored_as_it_is"),
    ),
    16: Input("fields that are not the caller's to set", (f"{BODIES}::test_a_wrong_field_is_named",)),
    17: Input("ids that are none", (f"{ACCESS}::test_ids_that_are_none_are_404_without_an_echo",)),
    18: Input(
        "a huge limit, a forged cursor",
        (
            f"{REPEATS}::test_a_wrong_query_parameter_is_named_and_not_echoed",
            f"{ACCESS}::test_a_cursor_of_another_project_or_list_is_forged",
        ),
    ),
    19: Input("a bad query with a secret in it", (f"{REPEATS}::test_a_wrong_query_parameter_is_named_and_not_echoed",)),
    20: Input(
        "70 kB of headers, a thousand of them, a head without end",
        (
            f"{EDGE}::test_headers_have_a_number_and_a_host",
            f"{REST}::test_a_head_without_end_is_431_and_costs_no_memory",
            f"{REST}::test_what_is_no_body_has_an_end",
        ),
    ),
    21: Input("another host's name", (f"{EDGE}::test_only_allowed_hosts_are_answered",)),
    22: Input(
        "a forged X-Forwarded-For", (f"{REST}::test_a_forwarded_address_counts_only_from_a_proxy_that_is_trusted",)
    ),
    23: Input("another tenant's id, on every route", (f"{ACCESS}::test_a_foreign_id_is_answered_as_an_unknown_one",)),
    24: Input("keys that are not ASCII, or 10 kB", (f"{ACCESS}::test_without_a_right_key_it_is_401",)),
    25: Input("two Authorization headers", (f"{ACCESS}::test_both_headers_carry_a_key_and_twice_is_400",)),
    26: Input("a key revoked in this second", (f"{ACCESS}::test_a_revoked_key_is_refused_at_once",)),
    27: Input("a key of less scope", (f"{ACCESS}::test_scopes",)),
    28: Input(
        "10,000 wrong keys from one address", (f"{ACCESS}::test_wrong_keys_use_up_the_address_and_nobody_elses_rate",)
    ),
    29: Input("the metadata service", (f"{FORBIDDEN}::test_a_forbidden_address_in_a_url_is_refused",)),
    30: Input(
        "loopback in hexadecimal, octal and shorter", (f"{CANARY}::test_no_spelling_reaches_a_listener_on_loopback",)
    ),
    31: Input("loopback in circled digits", (f"{CANARY}::test_no_spelling_reaches_a_listener_on_loopback",)),
    32: Input(
        "IPv4 inside IPv6, and IPv6 that is no internet",
        (f"{FORBIDDEN}::test_a_forbidden_address_in_a_url_is_refused",),
    ),
    33: Input(
        "a name with a public and a private address",
        (f"{FORBIDDEN}::test_a_name_that_leads_to_a_forbidden_address_is_refused_and_never_dialled",),
    ),
    34: Input(
        "a name that changes its address",
        (f"{GUARDED}::test_a_name_that_changes_its_address_is_judged_at_each_connection",),
    ),
    35: Input(
        "a resolver that never answers",
        (
            f"{LOOK_UPS}::test_a_name_that_never_resolves_costs_a_moment",
            f"{LOOK_UPS}::test_silent_names_are_in_nobody_elses_way",
            f"{RECEIVERS}::test_an_endpoint_whose_name_is_silent_has_one_attempt_in_flight",
        ),
    ),
    36: Input("backslashes and users in a URL", (f"{ADDRESSES}::test_urls_that_no_honest_receiver_has",)),
    37: Input("a name that IDNA refuses", (f"{ADDRESSES}::test_urls_that_no_honest_receiver_has",)),
    38: Input("ports of other services", (f"{ADDRESSES}::test_urls_that_no_honest_receiver_has",)),
    39: Input("schemes that are not the web's", (f"{ADDRESSES}::test_urls_that_no_honest_receiver_has",)),
    40: Input("the gateway's own address", (f"{ADDRESSES}::test_our_own_name_is_refused",)),
    41: Input(
        "line breaks in URLs and headers, headers that are ours",
        (f"{ADDRESSES}::test_urls_that_no_honest_receiver_has", "api/test_api_bots.py::test_what_a_runner_refuses"),
    ),
    42: Input("two tenants, one URL", (f"{REST}::test_two_tenants_may_name_one_address",)),
    43: Input("a redirect into the house", (f"{RECEIVERS}::test_a_redirect_is_a_failure_and_not_followed",)),
    44: Input("an answer that drips", (f"{RECEIVERS}::test_a_failure_is_recorded_and_retried",)),
    45: Input(
        "10 GB, and bombs",
        (
            f"{RECEIVERS}::test_an_endless_answer_is_read_to_the_cap_and_counts_by_its_status",
            f"{RECEIVERS}::test_a_gzip_bomb_is_never_unpacked",
        ),
    ),
    46: Input("a flood of headers", (f"{ANSWERS}::test_a_flood_is_cut_off_long_before_the_deadline",)),
    47: Input(
        "TLS that is not the name's, expired, self-signed, or of old",
        (
            f"{RECEIVERS}::test_tls_is_good_or_nothing_is_sent",
            f"{GUARDED}::test_tls_is_checked_against_the_name_and_not_the_address",
            f"{RECEIVERS}::test_tls_with_somebody_who_does_not_speak_it",
        ),
    ),
    48: Input(
        "receivers that accept and are silent, or reset", (f"{RECEIVERS}::test_a_failure_is_recorded_and_retried",)
    ),
    49: Input("HTML in an answer", (f"{RECEIVERS}::test_html_is_kept_as_text_and_our_secrets_are_not",)),
    50: Input("a Retry-After that is nonsense", (f"{RETRY}::test_a_failed_attempt_waits",)),
    51: Input(
        "410, and 429 for ever",
        (f"{RECEIVERS}::test_a_receiver_says_stop", f"{RECEIVERS}::test_five_days_of_failure_disable_across_restarts"),
    ),
    52: Input(
        "a receiver that echoes our secret", (f"{RECEIVERS}::test_html_is_kept_as_text_and_our_secrets_are_not",)
    ),
    53: Input("an endpoint deleted during its delivery", (f"{CLAIMS}::test_an_endpoint_that_goes_during_an_attempt",)),
    54: Input("a thousand endpoints", ("webhooks/test_desk.py::test_a_project_has_so_many_endpoints_and_no_more",)),
    55: Input(
        "feeds made to harm",
        (
            "providers/test_ics_hostile.py::test_a_hostile_series_costs_itself",
            "providers/test_ics_hostile.py::test_a_hostile_feed_is_refused_whole",
        ),
    ),
    56: Input(
        "state of the sign-in forged, old, used twice, at once, elsewhere, without its cookie",
        (
            f"{HOSTED}::test_a_state_that_nobody_gave_out",
            f"{HOSTED}::test_a_state_is_over_after_ten_minutes",
            f"{HOSTED}::test_a_state_is_good_once",
            f"{HOSTED}::test_one_of_many_who_bring_a_state_at_once_gets_in",
            f"{HOSTED}::test_a_state_is_good_for_one_provider",
            f"{HOSTED}::test_a_state_of_another_installation",
            f"{HOSTED}::test_a_walk_belongs_to_the_browser_that_began_it",
            f"{STATES}::test_of_a_hundred_who_bring_one_state_one_gets_it",
        ),
    ),
    57: Input("redirect targets that look right", (f"{HOSTED}::test_a_redirect_that_is_not_on_the_list",)),
    58: Input(
        "markup in the provider's error",
        (
            f"{HOSTED}::test_markup_in_what_a_provider_says",
            "hosted/test_hosted_journeys.py::test_errors_of_the_consent_page",
        ),
    ),
    59: Input(
        "a code used twice, or another's",
        (f"{HOSTED}::test_a_code_that_was_used_already", f"{HOSTED}::test_a_code_that_was_given_to_somebody_else"),
    ),
    60: Input(
        "a token endpoint that talks nonsense",
        (
            f"{GRANTS}::test_how_long_a_token_is_good",
            f"{HOSTED}::test_answers_of_the_token_endpoint",
            f"{TOKENS}::test_a_cancelled_asker_does_not_lose_the_rotated_token",
        ),
    ),
    61: Input("two workers, one rotating token", (f"{TOKENS}::test_two_processes_with_a_rotating_token_are_one_call",)),
    62: Input("a dead grant, and a bad minute", (f"{GRANTS}::test_whose_fault_it_is",)),
    63: Input(
        "forged pushes of Google's",
        (
            f"{PUSH}::test_a_forged_notification_does_nothing",
            f"{PUSH}::test_a_channel_that_has_ended_is_not_believed_any_more",
        ),
    ),
    64: Input(
        "one forged item among many of Graph's", (f"{NOTICES}::test_a_forged_item_does_nothing_and_spoils_no_other",)
    ),
    65: Input(
        "a validation token with markup, or a megabyte of it",
        (
            "api/test_microsoft_push.py::test_a_validation_token_comes_back_as_plain_text",
            "api/test_microsoft_push.py::test_a_validation_token_is_bounded",
        ),
    ),
    66: Input("10,000 pushes in a second", (f"{PUSH}::test_ten_thousand_notifications_are_two_reads_and_few_writes",)),
    67: Input(
        "one Idempotency-Key for two requests, for two tenants, and no key at all",
        (
            f"{REPEATS}::test_another_body_or_object_with_the_key_is_422",
            f"{REPEATS}::test_keys_of_projects_are_their_own",
            f"{REPEATS}::test_a_key_that_is_none_is_400",
        ),
    ),
    68: Input(
        "If-Match that is stale, weak, or nonsense",
        (
            f"{REST}::test_a_version_that_is_not_the_objects_changes_nothing",
            "api/test_api_bots.py::test_versions_are_honoured_and_one_of_many_wins",
        ),
    ),
    69: Input("kill -9 anywhere", ("journeys/test_kill.py::test_killed_at_any_moment_it_loses_nothing",)),
    70: Input(
        "a full disk, a locked file, a database that restarts",
        (
            "flows/test_readiness.py::test_a_full_disk_is_told_apart",
            "journeys/test_filled_disk.py::test_a_gateway_on_a_full_disk_says_so_loses_nothing_and_heals",
            "api/test_full_disk.py::test_what_is_acknowledged_is_stored_while_the_disk_fills_and_heals",
            "store/test_database.py::test_a_locked_file_is_unavailable_and_then_heals",
            "store/test_database.py::test_a_server_that_stops_is_unavailable_and_then_heals",
        ),
    ),
    71: Input(
        "a clock that jumps",
        (
            "providers/test_quotas.py::test_a_clock_that_is_put_back_parks_nobody",
            "flows/test_bots_keeping.py::test_a_clock_that_jumps_back_launches_nobody_again",
        ),
    ),
    72: Input(
        "a wrong or missing key ring", ("store/test_keyring.py::test_the_first_ring_is_remembered_and_another_refused",)
    ),
    73: Input(
        "a ciphertext swapped or cut off",
        (
            f"{REST}::test_a_swapped_secret_stops_its_own_calendar_alone",
            "store/test_cipher.py::test_a_value_that_was_moved_does_not_open",
        ),
    ),
    74: Input(
        "line breaks and colours in what is logged",
        (
            "test_observability.py::test_line_breaks_and_colours_in_names_and_urls_stay_on_one_line_and_do_nothing",
            "test_observability.py::test_an_errors_own_words_are_no_lines_of_the_log",
            f"{REST}::test_line_breaks_and_colours_that_users_send_are_no_lines_of_the_log",
        ),
    ),
    75: Input(
        "signature headers made to break a verifier",
        reason="calgate ships no verifier: receivers use a library of Standard Webhooks, as the tested samples in docs/webhooks.md do",
    ),
}
