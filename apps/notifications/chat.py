"""Messages to a chat that takes Slack's incoming webhooks: Slack, Mattermost, Rocket.Chat, Discord with `/slack`. Pure.

A message says what the mail of its kind says: the subject as its head, the text below it.
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import msgspec

#: Characters Slack takes of a header and of a section.
LONGEST_HEAD, LONGEST_TEXT = 150, 3_000


def body(subject: str, text: str) -> bytes:
    """The JSON of a message: `text` for notifications and chats without blocks, `blocks` for the rest."""
    return msgspec.json.encode(
        {
            "text": _escaped(f"{subject}\n{text.strip()}", LONGEST_TEXT),
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": subject[:LONGEST_HEAD]}},
                {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(text.strip(), LONGEST_TEXT)}},
            ],
        }
    )


def _escaped(text: str, longest: int) -> str:
    """Without mentions and links of others' making: `<!channel>` is a text like any other."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped if len(escaped) <= longest else escaped[: longest - 1].rpartition(" ")[0] + "…"
