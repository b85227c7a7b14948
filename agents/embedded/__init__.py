"""The embedded engine: llama.cpp behind the OpenAI API; LoRA adapters are merged when loaded."""
