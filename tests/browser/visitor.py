"""Somebody at a browser: a profile, a page in it, and what the browser has refused to its pages."""

from playwright.async_api import BrowserContext, ConsoleMessage, Page

REFUSAL = ("Content Security Policy", "Refused to")
WATCH = """addEventListener("securitypolicyviolation",
  (event) => console.error(`Refused to: ${event.effectiveDirective} ${event.blockedURI} at ${event.documentURI}`));"""


class Visitor:
    """`refusals` is what the browser did not let the pages do."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.refusals: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.refusals.append(f"Refused to run on: {error.error}"))

    @classmethod
    async def of(cls, context: BrowserContext) -> "Visitor":
        await context.add_init_script(WATCH)
        return cls(context, await context.new_page())

    def _hear(self, message: ConsoleMessage) -> None:
        if any(word in message.text for word in REFUSAL):
            self.refusals.append(message.text)

    async def choose(self, kind: str) -> None:
        """One of the choices of the link's page."""
        await self.page.click(f"#choose-{kind}")

    async def decide(self, decision: str = "allow", *, email: str | None = None, page: Page | None = None) -> None:
        """Press a button of a provider's consent page."""
        page = page or self.page
        await page.wait_for_selector("button[name=decision]")
        if email is not None:
            await page.check(f"input[name=account][value='{email}']")
        await page.click(f"button[value={decision}]")

    async def outcome(self, page: Page | None = None) -> str | None:
        """What our own last page says: whether it went well."""
        page = page or self.page
        return await (await page.wait_for_selector("#outcome")).get_attribute("data-success")
