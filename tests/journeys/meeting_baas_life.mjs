// The whole calendar life of the official client, in both versions; only `base_url` says that the server is another one.
// Arguments: the client's module, and JSON of {base_url, api_key, client_id, client_secret, refresh_token}. Prints JSON.
const [module, wish] = process.argv.slice(2);
const { createBaasClient } = await import(module);
const given = JSON.parse(wish);
const oauth = {
  oauth_client_id: given.client_id,
  oauth_client_secret: given.client_secret,
  oauth_refresh_token: given.refresh_token,
};
const told = { v1: {}, v2: {} };
let of = told.v1;

async function call(name, client, method, argument) {
  const answer = await client[method](argument);
  of[name] = answer.success ? { success: true, ...answer } : { ...answer, error: String(answer.error) };
  return answer.data;
}

async function until(look) {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error("the calendar was not read in time");
    await new Promise((done) => setTimeout(done, 200));
  }
}

async function liveV1() {
  const client = createBaasClient({ api_key: given.api_key, api_version: "v1", base_url: given.base_url });
  const platform = { ...oauth, platform: "Google" };
  await call("raw", client, "listRawCalendars", platform);
  const { calendar } = await call("create", client, "createCalendar", { ...platform, raw_calendar_id: "primary" });
  const uuid = calendar.uuid;
  await call("list", client, "listCalendars");
  await call("get", client, "getCalendar", { uuid });
  const events = await until(async () => {
    const { data } = await call("events", client, "listCalendarEvents", { calendar_id: uuid });
    return data.length ? data : null;
  });
  const [single, recurring] = [false, true].map((is) => events.find((event) => event.is_recurring === is).uuid);
  await call("event", client, "getCalendarEvent", { uuid: single });
  const body = { bot_name: "Scribe", extra: { user: "42" }, speech_to_text: { provider: "Default" }, kept: [1] };
  await call("schedule", client, "scheduleCalendarRecordEvent", { uuid: single, body });
  await call("patch", client, "patchBot", { uuid: single, body: { bot_name: "Renamed" } });
  await call("unschedule", client, "unscheduleCalendarRecordEvent", { uuid: single });
  const all = { all_occurrences: true };
  await call("scheduleAll", client, "scheduleCalendarRecordEvent", { uuid: recurring, body, query: all });
  await call("unscheduleAll", client, "unscheduleCalendarRecordEvent", { uuid: recurring, query: all });
  await call("update", client, "updateCalendar", { uuid, body: platform });
  await call("resync", client, "resyncAllCalendars", { days: 7 });
  await call("documentation", client, "getCalendarWebhookDocumentation");
  await call("delete", client, "deleteCalendar", { uuid });
  await call("gone", client, "getCalendar", { uuid });
}

async function liveV2() {
  of = told.v2;
  const client = createBaasClient({ api_key: given.api_key, api_version: "v2", base_url: given.base_url });
  const platform = { ...oauth, calendar_platform: "google" };
  const wanted = { ...platform, raw_calendar_id: "primary" };
  await call("raw", client, "listRawCalendars", platform);
  const { calendar_id } = await call("create", client, "createCalendarConnection", wanted);
  await call("again", client, "createCalendarConnection", wanted);
  await call("list", client, "listCalendars");
  await call("get", client, "getCalendarDetails", { calendar_id });
  const events = await until(async () => {
    const data = await call("events", client, "listEvents", { calendar_id });
    return data.length ? data : null;
  });
  const single = events.find((event) => event.event_type === "one_off");
  const recurring = events.find((event) => event.event_type === "recurring");
  const { event_id, series_id } = single;
  await call("series", client, "listEventSeries", { calendar_id });
  await call("event", client, "getEventDetails", { calendar_id, event_id });
  const body = { series_id, event_id, all_occurrences: false, bot_name: "Scribe", extra: { user: "42" } };
  await call("schedule", client, "createCalendarBot", { calendar_id, body });
  await call("scheduled", client, "getEventDetails", { calendar_id, event_id });
  const renamed = { series_id, all_occurrences: false, bot_name: "Renamed" };
  await call("patch", client, "updateCalendarBot", { calendar_id, event_id, body: renamed });
  await call("unschedule", client, "deleteCalendarBot", { calendar_id, event_id });
  await call("unscheduled", client, "getEventDetails", { calendar_id, event_id });
  const whole = { series_id: recurring.series_id, all_occurrences: true, bot_name: "Scribe" };
  await call("scheduleAll", client, "createCalendarBot", { calendar_id, body: whole });
  await call("unscheduleOne", client, "deleteCalendarBot", { calendar_id, event_id: recurring.event_id });
  await call("update", client, "updateCalendarConnection", { calendar_id, body: oauth });
  await call("sync", client, "syncCalendar", { calendar_id });
  await call("resubscribe", client, "resubscribeCalendar", { calendar_id });
  await call("delete", client, "deleteCalendarConnection", { calendar_id });
  await call("gone", client, "getCalendarDetails", { calendar_id });
}

await liveV1();
await liveV2();
console.log(JSON.stringify(told));
