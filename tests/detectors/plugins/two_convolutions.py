"""A detector of one file that learns by steps: two convolutions say which pixels are defects."""

from pydantic import Field

from bench.methods import Detector, Params, Prediction
from bench.methods.training import Fit, deterministic, train_model


class TwoConvolutionsParams(Params):
    steps: int = Field(200, ge=1, description="steps")
    learning_rate: float = Field(1e-2, gt=0, description="of Adam")


class TwoConvolutions(Detector):
    """A defect is what 9 x 9 pixels look like."""

    name, version, task, modality, scope = "two_convolutions", 1, "segmentation", "rgb", "category"
    frugal = frozenset({"fit"})
    imports = ("torch",)
    Params = TwoConvolutionsParams
    presets = {"tiny": {"steps": 6}}

    def fit(self, data, out, ctx):
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        with ctx.torch_stream("init"):
            network = new_network().to(ctx.device)
        rate = self.params.learning_rate
        optimizer = torch.optim.Adam(network.parameters(), rate)

        def step(index):
            batch = data.draw(ctx.rng("batch", index), 8)
            masks = torch.from_numpy(batch.masks).to(ctx.device).float()
            loss = binary_cross_entropy_with_logits(network(pixels(batch.images, ctx.device))[:, 0], masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return {"loss": loss.item()}

        fit = Fit(self.name, self.params.steps, step, {"network": network}, {"optimizer": optimizer})
        with deterministic(ctx.device):
            train_model(fit, network, out, ctx, epoch=50, learning_rate=lambda index: rate)

    def predict(self, model, images, ctx):
        import torch
        from safetensors.torch import load_file

        with ctx.torch_stream("unused"):  # building a network draws initial weights
            network = new_network()
        network.load_state_dict(load_file(model / "model.safetensors"))
        network.to(ctx.device)
        for batch in images:
            with torch.inference_mode():
                amap = torch.sigmoid(network(pixels(batch.images, ctx.device)))[:, 0]
            yield Prediction(amap=amap.cpu().numpy())


def new_network():
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2))


def pixels(images, device):
    import torch

    return torch.from_numpy(images.copy()).to(device).permute(0, 3, 1, 2).float() / 255
