"""The telephone: signalling by SIP, sound by RTP, and when somebody speaks. No dialogues."""
