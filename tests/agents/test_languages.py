"""Languages whose words for promises are listed, and all others."""

from django.test import SimpleTestCase

from agents.languages import is_listed
from wowconsole.demo.content import read


class LanguageTests(SimpleTestCase):
    def test_others_are_known_by_their_script_or_by_no_english_in_them(self):
        for text in (
            "Ich habe Ihre Bestellung storniert und Ihnen das Geld erstattet.",
            "Sure! Ich habe Ihre Bestellung storniert und das Geld erstattet.",
            "Hemos cancelado su pedido y le devolvemos el dinero.",
            "Nous vous remboursons tout.",
            "Ich habe Ihre Bestellung storniert, das Geld erstattet, und Ihnen geschrieben.",
            "Votre commande est annulée, l'argent remboursé, tout va bien.",
            "We hebben uw bestelling geannuleerd en het geld terugbetaald.",
            "Cancelei o seu pedido e devolvi o dinheiro.",
            "Siparişinizi iptal ettim ve paranızı iade ettim.",
            "ご注文をキャンセルし、返金しました。",
            "주문을 취소하고 환불했습니다.",
            "Заказ отменён, деньги вернём.",
            "已為您取消訂單。",
        ):
            assert not is_listed(text), text

    def test_english_and_chinese_are_listed_with_whatever_names(self):
        for text in (
            "Hello!",
            "You ordered:\n2x Pad Thai\n1x Gyoza, Mochi, Edamame",
            "Ann brings your Penne all'Arrabbiata.",
            "Have a good one.",
            "您的订单已送达,感谢惠顾。",
            "您可以在 App 里查看。",
            "Spicy noodles contain peanuts.",
            "Allergens: milk, eggs, wheat, soy.",
            "Items: margherita pizza, tiramisu, cola.",
            "Your order has:\n- margherita pizza, extra cheese\n- tomato soup",
        ):
            assert is_listed(text), text

    def test_the_demo_s_replies_are(self):
        said = [turn["text"] for talk in read("dialogues.jsonl") for turn in talk["turns"]
                if turn["role"] == "agent"]  # fmt: skip
        said += [row["target"]["reply"] for row in read("practice.jsonl")]
        assert len(said) > 400
        assert [text for text in said if not is_listed(text)] == []
