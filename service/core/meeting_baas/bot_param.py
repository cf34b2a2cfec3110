"""What a bot is to do, in the words of both dialects: kept as it came, changed as each changes it, shown as v1 shows it.

The object grows every few weeks, so nothing of it is refused or dropped for being unknown. v2 shows no configuration at all.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

TARGET: Final = frozenset({"series_id", "all_occurrences", "event_id"})
"""Fields of a v2 body that say which events are meant, beside those that say what the bot does."""

SWITCHES: Final = ("streaming", "transcription", "callback")
"""In v2 each has `NAME_enabled` and `NAME_config`, which go together."""

_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


class BotParam(msgspec.Struct, frozen=True, kw_only=True):
    """A bot's configuration as v1 shows it: `speech_to_text` in two fields, no `silence_timeout`."""

    bot_name: str
    bot_image: str | None = None
    deduplication_key: str | None = None
    enter_message: str | None = None
    extra: Any = None
    noone_joined_timeout: _Int32 | None = None
    recording_mode: Literal["speaker_view", "gallery_view", "audio_only"] | None = None
    speech_to_text_api_key: str | None = None
    speech_to_text_provider: Literal["Gladia", "Runpod", "Default"] | None = None
    streaming_audio_frequency: Literal["16khz", "24khz"] | None = None
    streaming_input: str | None = None
    streaming_output: str | None = None
    transcription_custom_parameters: Any = None
    waiting_room_timeout: _Int32 | None = None
    webhook_url: str = ""
    zoom_access_token_url: str | None = None
    zoom_obf_token: str | None = None
    zoom_obf_token_url: str | None = None
    zoom_obf_token_user_id: str | None = None
    zoom_sdk_id: str | None = None
    zoom_sdk_pwd: str | None = None


_FIELDS: Final = {field.name: field.type for field in msgspec.structs.fields(BotParam)}


def config_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in a v2 body, without what says which events are meant."""
    return {name: value for name, value in body.items() if name not in TARGET}


def changed_v1(config: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with a v1 patch: what is not there stays, null clears. A bot keeps its name in any case."""
    changed = {**config, **patch}
    kept = {name: value for name, value in changed.items() if patch.get(name, value) is not None}
    return kept if kept.get("bot_name") or "bot_name" not in config else {**kept, "bot_name": config["bot_name"]}


def changed_v2(config: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with a v2 patch: a field that is there replaces the one that was, and a switch turned off its settings."""
    changed = {**config, **patch}
    for name in SWITCHES:
        if patch.get(f"{name}_enabled") is False:
            changed.pop(f"{name}_config", None)
    return changed


def check_switches(patch: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first field of a v2 patch that contradicts its switch, and what is wrong with it; None when none does."""
    for name in SWITCHES:
        enabled, config = patch.get(f"{name}_enabled"), patch.get(f"{name}_config")
        if enabled is True and config is None:
            return f"{name}_config", f"is required with {name}_enabled: true"
        if enabled is False and config is not None:
            return f"{name}_config", f"does not go with {name}_enabled: false"
    return None


def bot_param(config: Mapping[str, Any]) -> BotParam:
    """A configuration of either dialect, or of the native routes, as v1 shows it.

    What the dialect has no place for is left out here, and goes to the bot all the same.
    """
    known = _named_as_v1(config) | dict(config)
    speech = config.get("speech_to_text")
    if isinstance(speech, str):
        known["speech_to_text_provider"] = speech
    elif isinstance(speech, Mapping):
        known["speech_to_text_provider"] = speech.get("provider")
        known["speech_to_text_api_key"] = speech.get("api_key")
    fitting = {
        name: known[name] for name, kind in _FIELDS.items() if known.get(name) is not None and _fits(known[name], kind)
    }
    return BotParam(**{"bot_name": "", **fitting})


def _named_as_v1(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of v2 that v1 has under another name, and those of the older guide."""
    timeouts, streaming, callback, transcription = (
        found if isinstance(found := config.get(name), Mapping) else {}
        for name in ("timeout_config", "streaming_config", "callback_config", "transcription_config")
    )
    frequency = streaming.get("audio_frequency")
    return {
        "enter_message": config.get("entry_message"),
        "bot_image": config.get("bot_avatar_url"),
        "waiting_room_timeout": timeouts.get("waiting_room_timeout"),
        "noone_joined_timeout": timeouts.get("no_one_joined_timeout"),
        "streaming_input": streaming.get("input_url"),
        "streaming_output": streaming.get("output_url"),
        "streaming_audio_frequency": f"{frequency // 1000}khz" if isinstance(frequency, int) else None,
        "transcription_custom_parameters": transcription.get("custom_params"),
        "webhook_url": callback.get("url"),
    }


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
