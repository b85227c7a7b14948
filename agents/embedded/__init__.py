"""The embedded engine: llama.cpp behind the OpenAI API, with LoRA adapters loaded while it runs."""
